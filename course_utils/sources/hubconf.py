"""Entry points for ``torch.hub.load`` (chapter 6): transformers' models by the task that their last layers serve.

    tokenizer = torch.hub.load("OWNER/REPOSITORY", "tokenizer", "bert-base-chinese")
    model = torch.hub.load(course_utils.hub_repository(), "model", "bert-base-chinese", source="local")

The names are those of ``huggingface/transformers``, whose own hubconf.py is gone; `modelWithLMHead` is kept for older
code. Each takes what ``from_pretrained`` does: a name on the Hub, or a folder, and keyword arguments. PyTorch reads
nothing of this file but the functions and `dependencies`, and nothing is loaded before one is called.
"""

dependencies = ["torch", "transformers"]


def config(name: str, **options):
    """A model's configuration: widths, layers, vocabulary size."""
    return _load("AutoConfig", name, options)


def tokenizer(name: str, **options):
    """The tokenizer that belongs to a model."""
    return _load("AutoTokenizer", name, options)


def model(name: str, **options):
    """A model without a head: `.last_hidden_state` has shape (texts, tokens, width)."""
    return _load("AutoModel", name, options)


def modelForMaskedLM(name: str, **options):
    """A model that guesses hidden tokens (BERT): `.logits` has shape (texts, tokens, vocabulary)."""
    return _load("AutoModelForMaskedLM", name, options)


def modelForCausalLM(name: str, **options):
    """A model that guesses the next token (GPT): `.logits` has shape (texts, tokens, vocabulary)."""
    return _load("AutoModelForCausalLM", name, options)


def modelForSequenceClassification(name: str, **options):
    """A model that classifies a text: `.logits` (texts, num_labels); untrained if the checkpoint has no such head."""
    return _load("AutoModelForSequenceClassification", name, options)


def modelForQuestionAnswering(name: str, **options):
    """A model that marks an answer: `.start_logits` and `.end_logits` (texts, tokens); untrained likewise."""
    return _load("AutoModelForQuestionAnswering", name, options)


def modelWithLMHead(name: str, **options):
    """For older code: `modelForMaskedLM` where the checkpoint has such a head, else `modelForCausalLM`."""
    architectures = config(name, **options).architectures or []
    is_causal = any(a.endswith(("LMHeadModel", "ForCausalLM")) for a in architectures)
    return modelForCausalLM(name, **options) if is_causal else modelForMaskedLM(name, **options)


def _load(auto_class: str, name: str, options: dict):
    import transformers

    if not isinstance(name, str) or not name:
        raise ValueError(f"A model's name is needed, such as 'bert-base-chinese', or its folder; {name!r} is neither.")
    try:
        return getattr(transformers, auto_class).from_pretrained(name, **options)
    except OSError as error:
        raise OSError(
            f"{name!r} could not be loaded: it is neither a folder with a checkpoint, nor in the Hub's cache, nor a "
            "model that the Hub gives without a token. Check the spelling and the network, or pass the path of a "
            "stand-in, such as course_utils.checkpoint('bert-base-chinese')."
        ) from error
