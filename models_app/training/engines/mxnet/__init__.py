"""The MXNet engine."""
