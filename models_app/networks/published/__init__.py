"""The standard networks as published, one file each: functions that make one for a frame and a number of categories."""
