"""``torch.hub.load("OWNER/REPOSITORY", …)`` looks for its entry points here; they come with the package."""

from course_utils.sources.hubconf import *  # noqa: F403
