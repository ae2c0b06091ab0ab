"""Vendors that speak OpenAI's wire format, as data: one row each, no code.

A row says where the vendor is, which variable usually holds its credential, what it serves and
what is different there. What a vendor refuses is left out only where the answer means the same
without it; all else goes to the vendor, which says itself what it cannot do.

The role "developer" is OpenAI's own: wherever a vendor does not document it, it is sent as
"system". `max_completion_tokens` is renamed wherever only `max_tokens` is documented.

Sources, all of 2026-11-21: console.groq.com/docs/openai, api-docs.deepseek.com,
docs.x.ai/docs/api-reference, docs.together.ai/reference, docs.fireworks.ai/api-reference,
docs.perplexity.ai/api-reference, openrouter.ai/docs/api-reference,
inference-docs.cerebras.ai/resources/openai,
docs.sambanova.ai/docs/en/features/openai-compatibility,
docs.tokenfactory.nebius.com, platform.moonshot.ai/docs/api/chat, docs.z.ai/api-reference,
alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope,
docs.vllm.ai/en/stable/serving/openai_compatible_server.html,
docs.sglang.ai/basic_usage/openai_api.html,
github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md,
lmstudio.ai/docs/app/api/endpoints/openai, docs.api.nvidia.com/nim/reference,
vercel.com/docs/ai-gateway/openai-compat, docs.hyperbolic.xyz, novita.ai/docs,
docs.voyageai.com/reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from adapters.openai import Quirks, Variant, variant
from proxy.adapter import Defaults

_TEXT = ("chat", "completions")
_REFUSED = "refused with status 400"
_OLDER = MappingProxyType({"max_completion_tokens": "max_tokens"})

_ROWS: Mapping[str, tuple[Defaults, Quirks]] = {
    "alibaba": (
        Defaults("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
        Quirks(("chat", "embeddings"), renames=_OLDER, developer=False),
    ),
    "cerebras": (
        Defaults("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
        Quirks(
            _TEXT,
            refuses={
                "frequency_penalty": _REFUSED,
                "logit_bias": _REFUSED,
                "presence_penalty": _REFUSED,
            },
            developer=False,
            thoughts=False,
        ),
    ),
    "deepseek": (
        Defaults("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
        Quirks(("chat", "responses"), renames=_OLDER, developer=False),
    ),
    "fireworks": (
        Defaults("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
        Quirks((*_TEXT, "embeddings", "responses", "rerank"), developer=False),
    ),
    "groq": (
        Defaults("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        Quirks(
            ("chat", "responses", "speech"),
            refuses={
                "logit_bias": _REFUSED,
                "logprobs": _REFUSED,
                "top_logprobs": _REFUSED,
            },
            thoughts=False,
            usage_in="x_groq",
        ),
    ),
    "hyperbolic": (
        Defaults("https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
        Quirks(_TEXT, renames=_OLDER, developer=False),
    ),
    "llamacpp": (
        Defaults("http://localhost:8080/v1"),
        Quirks((*_TEXT, "embeddings", "rerank", "responses"), developer=False),
    ),
    "lmstudio": (
        Defaults("http://localhost:1234/v1"),
        Quirks((*_TEXT, "embeddings", "responses"), renames=_OLDER, developer=False),
    ),
    "moonshot": (
        Defaults("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
        Quirks(("chat",), developer=False),
    ),
    "nebius": (
        Defaults("https://api.tokenfactory.nebius.com/v1", "NEBIUS_API_KEY"),
        Quirks((*_TEXT, "embeddings", "images"), renames=_OLDER, developer=False),
    ),
    "novita": (
        Defaults("https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
        Quirks((*_TEXT, "embeddings"), renames=_OLDER, developer=False),
    ),
    "nvidia": (
        Defaults("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
        Quirks((*_TEXT, "embeddings"), renames=_OLDER, developer=False),
    ),
    "openrouter": (
        Defaults("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        Quirks((*_TEXT, "embeddings", "responses", "rerank", "speech")),
    ),
    "perplexity": (
        Defaults("https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
        Quirks(
            ("chat", "embeddings"),
            paths={"embeddings": "/v1/embeddings"},
            renames=_OLDER,
            developer=False,
            marker=False,
        ),
    ),
    "sambanova": (
        Defaults("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
        Quirks(("chat", "embeddings", "responses"), renames=_OLDER, developer=False),
    ),
    "sglang": (
        Defaults("http://localhost:30000/v1"),
        Quirks((*_TEXT, "embeddings", "rerank"), developer=False),
    ),
    "together": (
        Defaults("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
        Quirks(
            (*_TEXT, "embeddings", "images", "rerank", "speech"),
            renames=_OLDER,
            developer=False,
        ),
    ),
    "vercel": (
        Defaults("https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_API_KEY"),
        Quirks(("chat", "embeddings", "responses"), omits_reasoning=True),
    ),
    "vllm": (
        Defaults("http://localhost:8000/v1"),
        Quirks((*_TEXT, "embeddings", "responses", "rerank"), developer=False),
    ),
    "voyage": (
        Defaults("https://api.voyageai.com/v1", "VOYAGE_API_KEY"),
        Quirks(("embeddings", "rerank")),
    ),
    "xai": (
        Defaults("https://api.x.ai/v1", "XAI_API_KEY"),
        Quirks((*_TEXT, "embeddings", "images", "responses")),
    ),
    "zai": (
        Defaults("https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
        Quirks(("chat", "images"), renames=_OLDER, developer=False),
    ),
}

_ALIASES = {"llama.cpp": "llamacpp"}

presets: Mapping[str, Callable[[], Variant]] = {
    name: partial(variant, *_ROWS[row])
    for name, row in ({name: name for name in _ROWS} | _ALIASES).items()
}
"""By the name in the configuration, what makes the adapter."""
