# The one error that a job raises when it knows what is wrong: a code of src/errors.ts, what was expected and what came,
# and what to do. Its words are shown to people as they are, so no text of a corpus may be in them.
class Failure(Exception):
    def __init__(self, code: str, message: str, hint: str | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
