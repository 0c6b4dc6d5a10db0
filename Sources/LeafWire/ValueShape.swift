package import LeafFormat
package import LeafSystem

/// What a value of JSON consists of, all the way down. It tells an answer from what only has its names.
package struct ValueShape: Sendable {
    private enum Kind { case text, count, number, null, id, orNull, list, table, object }

    private let kind: Kind
    /// Of a list's or a table's values, or of what may be null: one.
    private var inner: [ValueShape] = []
    private var fields: [String: ValueShape] = [:]
    private var possible: [String: ValueShape] = [:]

    private init(_ kind: Kind, _ inner: [ValueShape] = []) { (self.kind, self.inner) = (kind, inner) }

    package static let text = ValueShape(.text)
    /// A whole number from 0.
    package static let count = ValueShape(.count)
    /// Null where it is not finite, as it is written.
    package static let number = ValueShape(.number)
    package static let null = ValueShape(.null)
    /// What a request calls itself.
    package static let id = ValueShape(.id)

    package static func orNull(_ shape: ValueShape) -> ValueShape { ValueShape(.orNull, [shape]) }

    package static func list(_ element: ValueShape) -> ValueShape { ValueShape(.list, [element]) }

    /// An object whose names are data; one may stand there twice.
    package static func table(_ value: ValueShape) -> ValueShape { ValueShape(.table, [value]) }

    /// An object of these fields and no others.
    ///
    /// - Parameter possible: fields that may be missing.
    package static func object(
        _ fields: [String: ValueShape], possible: [String: ValueShape] = [:]
    ) -> ValueShape {
        var shape = ValueShape(.object)
        (shape.fields, shape.possible) = (fields, possible)
        return shape
    }

    /// Passes the next value.
    ///
    /// - Throws: `.usage` naming the field that is not of this shape.
    package func check(_ reader: inout JSONReader) throws(LeafError) {
        switch kind {
        case .text: _ = try reader.text()
        case .count: _ = try reader.integer(UInt64.self)
        case .number: if try !reader.takeNull() { _ = try reader.number(Double.self) }
        case .null: guard try reader.takeNull() else { throw reader.wrong("is not null") }
        case .id: _ = try RequestID(&reader)
        case .orNull: if try !reader.takeNull() { try inner[0].check(&reader) }
        case .list: try reader.list { reader throws(LeafError) in try inner[0].check(&reader) }
        case .table: try reader.object { _, reader throws(LeafError) in try inner[0].check(&reader) }
        case .object: try checkFields(&reader)
        }
    }

    private func checkFields(_ reader: inout JSONReader) throws(LeafError) {
        var found: Set<String> = []
        try reader.object { name, reader throws(LeafError) in
            guard let shape = fields[name] ?? possible[name] else { throw reader.wrong("is no field of it") }
            guard found.insert(name).inserted else { throw reader.wrong("stands there twice") }
            try shape.check(&reader)
        }
        if let missing = fields.keys.filter({ !found.contains($0) }).min() {
            throw LeafError.field(missing, "is missing")
        }
    }
}
