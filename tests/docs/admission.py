"""Asks a ValidatingAdmissionPolicy about pods, as an API server does (CEL, evaluated by celpy).

In: {"policy": its manifest, "requests": [{"namespace": …, "object": …}, …]} on standard input.
Out: for each request the message of the first validation that fails, or null.
"""

import json
import sys

import celpy
from celpy.celtypes import MapType, StringType

ENVIRONMENT = celpy.Environment()


def evaluate(expression, names):
    return ENVIRONMENT.program(ENVIRONMENT.compile(expression)).evaluate(names)


def refusal(spec, request):
    variables = MapType()
    names = {
        "object": celpy.json_to_cel(request["object"]),
        "request": celpy.json_to_cel({"namespace": request["namespace"]}),
        "variables": variables,
    }
    for variable in spec["variables"]:
        variables[StringType(variable["name"])] = evaluate(variable["expression"], names)
    for validation in spec["validations"]:
        if not evaluate(validation["expression"], names):
            return validation["message"]
    return None


asked = json.load(sys.stdin)
json.dump([refusal(asked["policy"]["spec"], request) for request in asked["requests"]], sys.stdout)
