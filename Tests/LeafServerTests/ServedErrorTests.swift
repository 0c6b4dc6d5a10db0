import LeafFormat
import LeafServer
import LeafSystem
import Testing

/// Errors as OpenAI's clients have them.
@Suite struct ServedErrorTests {
    @Test func kindsHaveTheStatusesThatClientsActOn() {
        let cases: [(LeafError.Kind, Int, String)] = [
            (.usage, 400, "invalid_request_error"), (.tooLong, 400, "invalid_request_error"),
            (.busy, 429, "rate_limit_error"), (.budget, 503, "server_error"), (.cancelled, 503, "server_error"),
            (.badInput, 500, "server_error"), (.io, 500, "server_error"),
        ]
        for (kind, status, type) in cases {
            let error = ServedError(LeafError(kind, "so it is"))
            #expect(error.status == status)
            #expect(error.body.line.hasPrefix(#"{"error":{"message":"so it is","type":"\#(type)","param":null,"#))
        }
    }

    @Test func nobodyOutsideLearnsWhereFilesLie() {
        for kind in [LeafError.Kind.io, .badInput] {
            let error = ServedError(LeafError(kind, "cannot read /srv/models/ant.leaf: input/output error"))
            #expect(error.status == 500 && !error.body.line.contains("srv"))
        }
    }

    @Test func aFieldInQuotesIsTheParameter() {
        func param(_ sentence: String) -> Bool {
            ServedError(LeafError(.usage, sentence)).body.line.contains(#""param":"n""#)
        }
        #expect(param("'n' is a text, where a whole number is wanted"))
        #expect(!param("give 'n' or 'm', not both"))
        #expect(!param("the text is too long"))
        #expect(!param("'n"))
    }
}
