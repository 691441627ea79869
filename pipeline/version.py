"""The version of cauce."""

__version__ = "0.1.0"
