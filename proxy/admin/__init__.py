"""What operators ask of a running gateway and tell it: `/admin/api`."""
