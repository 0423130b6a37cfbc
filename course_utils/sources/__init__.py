"""Where things come from: checkpoints, reviews, photographs, and what stands in for them. Nothing here is taught."""
