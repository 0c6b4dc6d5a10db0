package import LeafSystem

/// Values that consist of simpler ones.
extension JSONReader {
    /// A text that names a file.
    ///
    /// - Parameter wanted: what it may be.
    /// - Throws: `.usage` also for an empty one, and for one with a null character, at which the system would end the
    ///   path.
    package mutating func filePath(_ wanted: String = "the path of a file") throws(LeafError) -> String {
        let text = try text()
        guard !text.isEmpty else { throw wrong("is an empty text; give \(wanted)") }
        guard !text.utf8.contains(0) else { throw wrong("holds a null character, which no path may; leave it out") }
        return text
    }

    package mutating func integers<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(LeafError)
        -> [Value]
    {
        var values: [Value] = []
        try list { reader throws(LeafError) in values.append(try reader.integer()) }
        return values
    }

    package mutating func texts() throws(LeafError) -> [String] {
        var values: [String] = []
        try list { reader throws(LeafError) in values.append(try reader.text()) }
        return values
    }
}
