"""Forms of transcriptions for vendors whose form has other fields than OpenAI's.

The recording is passed on as it came. What a vendor has no field for is left out and named;
an answer in another form than JSON is refused, since nobody could tell it from a mistake.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from proxy.adapter import Dropped, Headers, Target, UpstreamRequest
from proxy.errors import InvalidRequest
from proxy.forms import Form
from proxy.wire import Request

_FORMAT = "response_format"
_JSON = frozenset({"json", "verbose_json", "diarized_json"})
_UNKNOWN = "the provider's transcriptions have no such parameter"


def asked(
    path: str, request: Request, target: Target, authorized: Headers, names: Mapping[str, str]
) -> UpstreamRequest:
    """Build the vendor's request.

    Args:
        path: where it goes.
        request: the client's form.
        target: its model stands in the form.
        authorized: headers that carry the credential.
        names: of the client's fields to the vendor's.

    Raises:
        InvalidRequest: it is no form, or asks for an answer that is no JSON.
    """
    if not isinstance(request, Form):
        raise InvalidRequest("the provider takes transcriptions as multipart/form-data only")
    wanted = request.get(_FORMAT, str) or "json"
    if wanted not in _JSON:
        message = f"the provider answers in JSON only, not in {wanted[:20]!r}"
        raise InvalidRequest(message, param=_FORMAT)
    changed = request.encode({"model": msgspec.json.encode(target.model)})
    form = Form(changed, request.content_type)
    given = dict.fromkeys(part.name for part in form.parts)
    lost = [Dropped(name, _UNKNOWN) for name in given if name not in names and name != _FORMAT]
    headers = (*authorized, ("content-type", form.content_type))
    return UpstreamRequest("POST", path, headers, form.picked(names), dropped=lost)
