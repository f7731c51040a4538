"""What a run can do, one module for each verb or group of verbs; data in, the same kind out."""
