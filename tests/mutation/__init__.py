"""Random mutants of the cores: small changes drawn by a seed, judged by unit tests and simulator.

points.py   where a module can be changed, and how
plant.py    an import hook that loads one module changed
statements.py where a probe can stand
probes.py   what does each test execute?
reach.py    so which of them can find a mutant?
chosen.py   a plugin that runs these tests, first the specific ones
judge.py    is it found: by the unit tests, by simulated clusters?
__main__.py draws a sample and prints the verdicts: `make mutants N=20`
"""
