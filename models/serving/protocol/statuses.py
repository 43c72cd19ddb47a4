"""Errors as gRPC status codes, and the HTTP status of each."""

from http import HTTPStatus

import grpc
import tensorflow as tf

Code = grpc.StatusCode

HTTP_STATUS = {
    Code.OK: HTTPStatus.OK,
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    Code.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Code.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    Code.ABORTED: HTTPStatus.CONFLICT,
    Code.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.CANCELLED: 499,  # nginx's "client closed request", which TF Serving returns too
    Code.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}
BY_NUMBER = {code.value[0]: code for code in Code}


class ServingStatus(Exception):
    """The error of a request, or of loading a version.

    Attributes:
        code: gRPC's status code.
        message: The message that a client gets.
    """

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code = code
        self.message = message

    def http(self) -> int:
        """Returns the HTTP status of TF Serving's REST API for this error."""
        return int(HTTP_STATUS.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR))

    def __str__(self) -> str:
        """Returns the status as TensorFlow prints it, such as `INVALID_ARGUMENT: Missing ModelSpec`."""
        return f"{self.code.name}: {self.message}"


class Refusal(ServingStatus):
    """An INVALID_ARGUMENT raised before the model ran: no version is to blame for it."""

    def __init__(self, message: str):
        super().__init__(Code.INVALID_ARGUMENT, message)


def invalid(message: str) -> ServingStatus:
    """Returns an INVALID_ARGUMENT error, to be raised by the caller."""
    return ServingStatus(Code.INVALID_ARGUMENT, message)


def of_tensorflow(error: tf.errors.OpError) -> ServingStatus:
    """Returns the ServingStatus of an error that a TensorFlow session raised."""
    return ServingStatus(BY_NUMBER.get(error.error_code, Code.UNKNOWN), error.message)
