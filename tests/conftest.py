"""What all tests share."""

from hypothesis import settings

pytest_plugins = ["pytester", "tests.servers.plugin"]

# No deadline for an example: on a busy machine it fails at random, and pytest-timeout ends what hangs.
settings.register_profile("tickonce", deadline=None, print_blob=True)
settings.load_profile("tickonce")
