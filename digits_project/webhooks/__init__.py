"""Webhooks: requests to addresses that users name, when their jobs end. Signed, retried, and recorded."""
