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
            #expect(error.status.rawValue == status)
            #expect(error.body.line.hasPrefix(#"{"error":{"message":"so it is","type":"\#(type)","param":null,"#))
        }
    }

    @Test func whatPassesByItselfSaysWhen() {
        for (kind, passes) in [(LeafError.Kind.budget, true), (.cancelled, false), (.io, false), (.usage, false)] {
            #expect((ServedError(LeafError(kind, "so it is")).retryAfter != nil) == passes, "\(kind)")
        }
    }

    @Test func nobodyOutsideLearnsWhereFilesLie() {
        for kind in [LeafError.Kind.io, .badInput] {
            let error = ServedError(LeafError(kind, "cannot read /srv/models/ant.leaf: input/output error"))
            #expect(error.status == .internalError && !error.body.line.contains("srv"))
        }
    }

    @Test func theParameterIsTheFieldThatTheSentenceIsAbout() throws {
        func param(_ error: LeafError) throws -> String? { try Object(ServedError(error).body)["error"]["param"].text }
        #expect(try param(.field("n", "is a text, where a whole number is wanted")) == "n")
        #expect(try param(LeafError(.usage, "'n' and 'm' go together")) == nil)
        #expect(try param(LeafError(.usage, "the text is too long")) == nil)
        // What is no request's fault is no field's.
        #expect(try param(LeafError(.io, "so it is", field: "n")) == nil)
    }

    @Test func sentencesHaveTheNamesOfFields() throws {
        let error = ServedError(LeafError(.usage, "max-tokens 0 is not between 1 and 2", field: "max_tokens"))
        #expect(try Object(error.body)["error"]["message"].text == "max_tokens 0 is not between 1 and 2")
    }
}
