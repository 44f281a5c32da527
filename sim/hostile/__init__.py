"""Actors that lie, repeat themselves, name things twice, answer late and know no bounds.

gossip.py      what can be overheard: ids and messages of everybody
wild.py        values and records of any type, honest ones with a change, extremes above all
door.py        the real wire: what it refuses never arrives, what a daemon sends it has to carry
frameworks.py  a framework that says whatever comes to its mind
agents.py      an agent that speaks for others
people.py      odd apps, and operators who don't know what they do
damage.py      records in a store that can't be read any more
"""
