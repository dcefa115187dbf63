"""What the integration tests set up is what is broken here."""

from tests.integration.conftest import normal_clips, plant, small_bundle  # noqa: F401 - fixtures
