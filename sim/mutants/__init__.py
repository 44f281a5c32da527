"""Bugs that are planted into the real code, by what they break: does the simulator find them?"""
