"""Compiled modules, one per primitive of the native core.  They import nothing of pypeln but each other."""
