"""The text of an edit that was not taken: it is shown, so that nobody has to write it again."""

import asyncio

from msgin5g_tools.scm_server.web.documents import shown_text
from msgin5g_tools.scm_server.web.elements import tag


def form_text(sent, name):
    """A field of a form; line breaks as everybody else has them."""
    value = sent.get(name, "")
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


async def kept_text(request):
    """A section with the text of a document that this request has brought, or nothing."""
    text = form_text(await request.post(), "text") if request.method == "POST" else ""
    if not text:
        return ""
    shown = await asyncio.to_thread(shown_text, text)
    return tag("section", tag("h2", "Your text, to copy"), shown)
