"""The version of pypeln: the one place that names it; the build reads it from here."""

__version__ = "1.0.0.dev0"
