"""The plugins of netproof, and nothing else."""

pytest_plugins = [
    "pytester",
    "fixtures.options",
    "fixtures.run",
    "fixtures.terminal",
    "fixtures.environment",
    "fixtures.engine",
    "fixtures.networks",
    "fixtures.programs",
    "fixtures.cluster",
    "fixtures.world",
    "fixtures.services",
    "fixtures.fault_matrix",
]
