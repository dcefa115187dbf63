"""What the integration tests set up is what is broken here."""

from tests.integration.conftest import small_bundle  # noqa: F401 - a fixture
