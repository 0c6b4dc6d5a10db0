import FoundationEssentials
package import LeafSystem

extension JSONReader {
    /// Decodes one JSON value as Python's `json` reads it: NaN, infinities and halves of characters do no harm where
    /// nobody reads them, and what Python refuses is refused here.
    ///
    /// - Throws: `.usage` naming the key that is not as it should be, or the position of the fault; a `LeafError` of
    ///   the decoded type as it is.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: ArraySlice<UInt8>
    ) throws(LeafError) -> Value {
        var reader = JSONReader(bytes)
        let pythonOnly = try reader.checkWhole()
        var data = Data(bytes)
        // The decoder knows JSON alone. An empty object in their place is a value that no field takes; in place of a
        // name, it is a name that no field has.
        for range in pythonOnly {
            let first = data.startIndex + (range.lowerBound - bytes.startIndex)
            let last = first + range.count - 1
            for offset in first...last { data[offset] = 0x20 }
            let isName = Self.isName(range, in: bytes)
            data[first] = UInt8(ascii: isName ? "\"" : "{")
            data[isName ? last : first + 1] = UInt8(ascii: isName ? "\"" : "}")
        }
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as LeafError {
            throw error
        } catch {
            throw LeafError(.usage, "\(DecodingProblem(error))")
        }
    }

    /// Whether a colon follows, as it does behind names alone.
    private static func isName(_ range: Range<Int>, in bytes: ArraySlice<UInt8>) -> Bool {
        bytes[range.upperBound...].first { ![0x20, 0x0A, 0x0D, 0x09].contains($0) } == UInt8(ascii: ":")
    }
}

extension InputFile {
    /// Decodes a file that is one small JSON value.
    ///
    /// - Parameters:
    ///   - most: bytes that such a file has at most; nothing of a larger one is read.
    ///   - what: what the file should be, for messages, such as `an index of shards`.
    /// - Throws: `.io`, and `.badInput` naming the first key that is not as it should be, or where the JSON is broken;
    ///   a `LeafError` of the decoded type with the path in front.
    package func json<Value: Decodable>(
        _ type: Value.Type, atMost most: Int, what: String
    ) throws(LeafError) -> Value {
        let bytes = try bytes(atMost: most, what: what)
        do throws(LeafError) {
            return try JSONReader.decode(type, from: bytes[...])
        } catch {
            let beginning = error.kind == .usage ? "\(path) is not \(what)" : path
            throw LeafError(.badInput, "\(beginning): \(error.description)", advice: error.advice)
        }
    }

    /// All bytes of a small file.
    ///
    /// - Parameters: as above.
    package func bytes(atMost most: Int, what: String) throws(LeafError) -> [UInt8] {
        guard byteCount <= most else {
            throw LeafError(.badInput, "\(path) has \(byteCount.sizeText), too much for \(what)")
        }
        return try bytes(at: 0, count: byteCount)
    }
}
