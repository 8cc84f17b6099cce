"""How an operator sees the state of the server: health, metrics, the doctor, log lines."""
