# SPDX-License-Identifier: Apache-2.0
"""Answers which servlets of Synapse a request would reach.

Reads request targets, one a line, and writes a line for each: the expressions
of the servlets that its path leads to under any method. The routing is the real
one: Twisted's request and resource tree, and Synapse's own table of
regular expressions. Only the handlers behind it, and the homeserver that they
ask, are doubles, because nothing here ever calls them.
"""

import sys
from unittest import mock

from twisted.web import resource, server
from twisted.web.test.requesthelper import DummyChannel

from synapse.http.server import JsonResource, RootRedirect
from synapse.rest import ClientRestResource
from synapse.rest.admin import AdminRestResource
from synapse.rest.well_known import WellKnownResource
from synapse.util.httpresourcetree import create_resource_tree

METHODS = (b"GET", b"POST", b"PUT", b"DELETE")


def tree():
    """The resources of synapse.app.homeserver, "client", with doubles behind."""
    hs = mock.MagicMock()
    hs.config.user_directory_search_enabled = True
    client = ClientRestResource(hs)
    places = {
        "/_matrix/client/api/v1": client,
        "/_matrix/client/r0": client,
        "/_matrix/client/unstable": client,
        "/_matrix/client/v2_alpha": client,
        "/_matrix/client/versions": client,
        "/.well-known/matrix/client": WellKnownResource(hs),
        "/_synapse/admin": AdminRestResource(hs),
    }
    return create_resource_tree(places, RootRedirect("/_matrix/static/"))


class Routed(server.Request):
    """A request that finds its resource and goes no further."""

    reached = None

    def render(self, resrc):
        self.reached = resrc


def route(site, method, target):
    """The expression that Synapse's table has for the request, or None."""
    channel = DummyChannel()
    channel.site = site
    request = Routed(channel, False)
    request.gotLength(0)
    request.requestReceived(method, target, b"HTTP/1.1")
    if not isinstance(request.reached, JsonResource):
        return None
    handler = request.reached._get_handler_for_request(request)[0]
    for entry in request.reached.path_regexs.get(method, []):
        # One handler has several expressions, for the versions that it is in.
        if entry.callback == handler and entry.pattern.match(request.path.decode("ascii")):
            return entry.pattern.pattern
    return None


def main():
    site = server.Site(tree())
    print("ready", flush=True)
    for line in sys.stdin.buffer:
        target = line.rstrip(b"\n")
        found = {route(site, method, target) for method in METHODS} - {None}
        print("\t".join(sorted(found)), flush=True)


if __name__ == "__main__":
    main()
