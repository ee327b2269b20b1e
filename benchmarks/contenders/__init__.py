"""Contenders that several cases share: ways to apply a function to a stream."""
