"""The plugins of netproof, and nothing else."""

pytest_plugins = ["fixtures.options", "fixtures.run", "fixtures.environment", "fixtures.cluster"]
