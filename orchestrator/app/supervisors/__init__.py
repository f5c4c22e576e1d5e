"""What starts a spec on its schedule: texts for cron, systemd, Kubernetes and Airflow."""
