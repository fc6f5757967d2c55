"""The one Config, what its fields may hold, and what keypoint names mean."""
