"""What holds for all tests."""

from hypothesis import settings

# a busy machine takes its time, and that is no failure
settings.register_profile("ratecard", deadline=None)
settings.load_profile("ratecard")
