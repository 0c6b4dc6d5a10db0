import Foundation
import GoldenSupport
import LeafServer
import Testing

/// Every status that the server can send is in the documents that clients are written by.
@Suite struct HTTPStatusTests {
    @Test func thePageListsEachErrorWithItsMeaning() throws {
        let path = Golden.repository.appending(path: "Documentation/http.md")
        let rows = try String(contentsOf: path, encoding: .utf8).split(separator: "\n").filter {
            $0.hasPrefix("| 4") || $0.hasPrefix("| 5")
        }
        #expect(rows.map(String.init) == HTTPStatus.errors.map { "| \($0.rawValue) | \($0.meaning) |" })
    }

    @Test func theDocumentOfAllRoutesHasEachError() throws {
        let document = try Object(AnswerDesk.openAPI)
        let errors = Set(HTTPStatus.errors.map { "\($0.rawValue)" })
        #expect(Set(document["components"]["responses"].fields.keys) == errors)
        let operations = document["paths"].fields.values.flatMap(\.fields.values)
        #expect(Set(operations.flatMap { $0["responses"].fields.keys }) == errors.union(["200"]))
    }
}
