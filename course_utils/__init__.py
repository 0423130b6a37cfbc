"""Helpers of the course *Pretrained Models, Hands-On*: ``import course_utils as cu``.

Each name is loaded from its module when it is first used, so the import itself costs nothing and starts nothing.
"""

from importlib import import_module

# All names of `cu`, by their modules: what chapters may use.
_NAMES = {
    "runtime": "Runtime setup stand_ins",
    "texts": "Reviews Split tokenize",
    "pictures": "PictureError PictureSplits Pictures load_folder read_picture",
    "transfer": "count_parameters find_head freeze parameter_groups replace_head unfreeze",
    "inference": "Metrics embed evaluate predict",
    "options": "Recipe",
    "history": "History",
    "training": "fit",
    "claims": "expect",
    "checks": "check",
    "show.plots": "plot_confusion plot_history plot_pictures plot_scores plot_scores_by use_course_style",
    "show.widgets": "flip_through try_it",
    "sources.checkpoints": "checkpoint hub_repository vision_model",
    "sources.reviews": "load_questions load_reviews",
    "sources.photographs": "load_cifar10 load_pokemon",
    "sources.creatures": "creatures",
    "sources.splits": "split",
    "sources.scores": "load_scores",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = list(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"course_utils has no {name!r}; it has {', '.join(sorted(_HOME))}")


def __dir__():
    return __all__
