"""SQLAlchemy's tests for dialects (README.dialects.rst in its sources)."""
from sqlalchemy.testing.suite import *  # noqa: F401,F403
