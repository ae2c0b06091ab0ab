"""Vendors that speak OpenAI's wire format, as data: one row each, no code.

A row says where the vendor is, which variable usually holds its credential, what it serves and
what is different there. What a vendor refuses is left out only where the answer means the same
without it; all else goes to the vendor, which says itself what it cannot do.

The role "developer" is OpenAI's own: wherever a vendor does not document it, it is sent as
"system". `max_completion_tokens` is renamed wherever only `max_tokens` is documented. Thoughts
pass under the vendor's own name for them, `reasoning_content` or `reasoning`. Where a vendor has
several regions, the row has the international one and the README names the others.

Sources, all of 2026-11-26:
alibaba     alibabacloud.com/help/en/model-studio/api-compatibility-upgrade-notice and
            .../compatibility-of-openai-with-dashscope: both names of the limit, responses
cerebras    inference-docs.cerebras.ai/resources/openai: what is a 400, no role "developer"
deepseek    api-docs.deepseek.com/api/create-completion: fill-in-the-middle is beta, by `suffix`
fireworks   docs.fireworks.ai/tools-sdks/openai-compatibility, .../api-reference
groq        console.groq.com/docs/openai: what is a 400, names of messages too
llamacpp    github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
lmstudio    lmstudio.ai/docs/app/api/endpoints/openai
moonshot    platform.kimi.ai/docs/api/chat, .../responses
nebius      docs.tokenfactory.nebius.com/api-reference/inference
novita      novita.ai/docs/api-reference/model-apis-llm-create-chat-completion
nvidia      docs.api.nvidia.com/nim/reference
openrouter  openrouter.ai/docs/api-reference
perplexity  docs.perplexity.ai/docs/grounded-llm/openai-compatibility: responses are its agents,
            .../docs/sonar/openai-compatibility: chat
sambanova   docs.sambanova.ai/docs/en/features/openai-compatibility: what is ignored, and
            .../api-reference/completions/create-completion
sglang      docs.sglang.ai/basic_usage/openai_api.html
together    docs.together.ai/docs/inference/openai-compatibility: the host is api.together.ai
vercel      vercel.com/docs/ai-gateway/sdks-and-apis/openai-chat-completions
vllm        docs.vllm.ai/en/stable/serving/openai_compatible_server.html
voyage      docs.voyageai.com/reference/embeddings-api, .../reranker-api: other names
xai         docs.x.ai/developers/rest-api-reference/inference, .../inference/legacy
zai         docs.z.ai/api-reference, docs.z.ai/guides/develop/openai/python
hyperbolic  docs.hyperbolic.xyz
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from adapters.openai import Quirks, Variant, variant
from proxy.adapter import Defaults, Passing

_TEXT = ("chat", "completions")
_HEARING = ("transcriptions", "translations")
_REFUSED = "refused with status 400"
_IGNORED = "ignored by this provider"
_UNSUPPORTED = "not supported by this provider"
_OLDER = MappingProxyType({"max_completion_tokens": "max_tokens"})
_LLAMACPP = frozenset(
    {
        *("apply-template", "completion", "detokenize", "embedding", "health", "infill"),
        *("lora-adapters", "metrics", "props", "reranking", "slots", "tokenize"),
    }
)
_SGLANG = frozenset({"generate", "get_model_info", "health"})
_VLLM = frozenset({"detokenize", "health", "metrics", "pooling", "score", "tokenize", "version"})
"""What these servers have beside `/v1`."""

_ROWS: Mapping[str, tuple[Defaults, Quirks]] = {
    "alibaba": (
        Defaults("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
        Quirks((*_TEXT, "embeddings", "responses"), developer=False),
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
        Quirks(
            (*_TEXT, "responses"),
            paths={"completions": "/beta/completions"},
            renames=_OLDER,
            developer=False,
        ),
    ),
    "fireworks": (
        Defaults("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
        Quirks((*_TEXT, "embeddings", "responses", "rerank"), developer=False),
    ),
    "groq": (
        Defaults("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        Quirks(
            ("chat", "responses", "speech", *_HEARING),
            refuses={
                "logit_bias": _REFUSED,
                "logprobs": _REFUSED,
                "top_logprobs": _REFUSED,
            },
            thoughts=False,
            names=False,
            usage_in="x_groq",
        ),
    ),
    "hyperbolic": (
        Defaults("https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
        Quirks(_TEXT, renames=_OLDER, developer=False),
    ),
    "llamacpp": (
        Defaults("http://localhost:8080/v1", passing=Passing(beside=_LLAMACPP)),
        Quirks((*_TEXT, "embeddings", "rerank", "responses"), developer=False),
    ),
    "lmstudio": (
        Defaults("http://localhost:1234/v1"),
        Quirks((*_TEXT, "embeddings", "responses"), renames=_OLDER, developer=False),
    ),
    "moonshot": (
        Defaults("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
        Quirks(("chat", "responses"), developer=False),
    ),
    "nebius": (
        Defaults("https://api.tokenfactory.nebius.com/v1", "NEBIUS_API_KEY"),
        Quirks((*_TEXT, "embeddings", "images"), renames=_OLDER, developer=False),
    ),
    "novita": (
        Defaults("https://api.novita.ai/openai/v1", "NOVITA_API_KEY"),
        Quirks((*_TEXT, "embeddings", "rerank"), renames=_OLDER, developer=False),
    ),
    "nvidia": (
        Defaults("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
        Quirks((*_TEXT, "embeddings"), renames=_OLDER, developer=False),
    ),
    "openrouter": (
        Defaults("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        Quirks((*_TEXT, "embeddings", "responses", "rerank", "speech", "transcriptions")),
    ),
    "perplexity": (
        Defaults("https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
        Quirks(
            ("chat", "embeddings", "responses"),
            paths={"embeddings": "/v1/embeddings", "responses": "/v1/responses"},
            renames=_OLDER,
            developer=False,
            marker=False,
        ),
    ),
    "sambanova": (
        Defaults("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
        Quirks(
            (*_TEXT, "embeddings", "responses", *_HEARING),
            refuses={
                "frequency_penalty": _IGNORED,
                "logit_bias": _IGNORED,
                "presence_penalty": _IGNORED,
            },
            developer=False,
        ),
    ),
    "sglang": (
        Defaults("http://localhost:30000/v1", passing=Passing(beside=_SGLANG)),
        Quirks((*_TEXT, "embeddings", "rerank", "responses"), developer=False),
    ),
    "together": (
        Defaults("https://api.together.ai/v1", "TOGETHER_API_KEY"),
        Quirks(
            (*_TEXT, "embeddings", "images", "rerank", "speech", *_HEARING),
            renames=_OLDER,
            developer=False,
        ),
    ),
    "vercel": (
        Defaults("https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_API_KEY"),
        Quirks(("chat", "embeddings", "responses"), omits_reasoning=True),
    ),
    "vllm": (
        Defaults("http://localhost:8000/v1", passing=Passing(beside=_VLLM)),
        Quirks((*_TEXT, "embeddings", "responses", "rerank", *_HEARING), developer=False),
    ),
    "voyage": (
        Defaults("https://api.voyageai.com/v1", "VOYAGE_API_KEY"),
        Quirks(
            ("embeddings", "rerank"),
            renames={"dimensions": "output_dimension", "top_n": "top_k"},
        ),
    ),
    "xai": (
        Defaults("https://api.x.ai/v1", "XAI_API_KEY"),
        Quirks(
            (*_TEXT, "embeddings", "images", "image_edits", "responses"),
            refuses={"logit_bias": _UNSUPPORTED},
        ),
    ),
    "zai": (
        Defaults("https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
        Quirks(("chat", "images", "transcriptions"), renames=_OLDER, developer=False),
    ),
}

_ALIASES = {"llama.cpp": "llamacpp"}

presets: Mapping[str, Callable[[], Variant]] = {
    name: partial(variant, *_ROWS[row])
    for name, row in ({name: name for name in _ROWS} | _ALIASES).items()
}
"""By the name in the configuration, what makes the adapter."""
