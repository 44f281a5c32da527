"""Actors that lie, repeat themselves, name things twice, answer late and know no bounds.

gossip.py            what can be overheard: ids and messages of everybody
wild.py              values and records of any type, honest ones with a change, extremes above all
door.py              the real wire: it may refuse what liars say, what daemons send it has to carry
lying_frameworks.py  a framework that says whatever comes to its mind
lying_agents.py      an agent that speaks for others
people.py            odd apps, and operators who don't know what they do
damage.py            records in a store that can't be read any more
"""
