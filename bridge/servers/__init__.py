"""The two servers, each behind the one module that imports its SDK."""
