import LeafFormat
package import LeafSystem

/// What a caller may want of a request of any kind, beside its answer: `{"progress":true}`.
package struct RequestWishes: Sendable, Equatable {
    /// Whether events say where the request is.
    package var progress = false
    /// Of logits, whether the last row alone is wanted.
    package var last = false

    /// Fields that every kind of request passes.
    static let names: Set<String> = ["progress"]

    package init() {}

    /// - Parameter kind: nil for a line of a job.
    /// - Throws: `.usage` naming the field that makes no sense.
    package init(_ kind: RequestKind?, json: ArraySlice<UInt8>) throws(LeafError) {
        var wishes = RequestWishes()
        var reader = JSONReader(json)
        try reader.fields { name, reader throws(LeafError) in
            switch name {
            case "progress": wishes.progress = try reader.bool()
            case "last" where kind == .logits: wishes.last = try reader.bool()
            default: try reader.skip()
            }
        }
        try reader.end()
        self = wishes
    }
}
