"""What several annotation formats share."""
