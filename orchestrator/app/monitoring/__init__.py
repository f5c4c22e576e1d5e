"""What machines read about batches: metrics for Prometheus and traces for OpenTelemetry."""
