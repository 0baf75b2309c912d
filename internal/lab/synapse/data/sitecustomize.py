# SPDX-License-Identifier: Apache-2.0
"""Gives a newer Python back the two names Synapse 1.3.1 misses in it.

Python imports this module by itself at start-up when its directory is on
PYTHONPATH. No file of Synapse is changed.
"""

import collections
import importlib.util
import inspect
import sys
import types

# Removed in 3.11. synapse.util.caches.descriptors and synapse.logging use it
# on every cached method; they know neither keyword-only arguments nor
# annotations, so the first four fields are all there is to give back.
if not hasattr(inspect, "getargspec"):
    _ArgSpec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")

    def _getargspec(func):
        return _ArgSpec(*inspect.getfullargspec(func)[:4])

    inspect.getargspec = _getargspec

# Removed in 3.12. synapse.storage.prepare_database loads its schema deltas
# with imp.load_source and touches nothing else of the module.
if sys.version_info >= (3, 12):

    def _load_source(name, path, _file=None):
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    _imp = types.ModuleType("imp")
    _imp.load_source = _load_source
    sys.modules["imp"] = _imp
