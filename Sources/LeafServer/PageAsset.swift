import CPage

/// A file of the page.
struct PageAsset: Sendable {
    let path: String
    let type: String
    /// They live as long as the program.
    nonisolated(unsafe) let bytes: UnsafeBufferPointer<UInt8>

    static let all = (0..<leaf_page_count()).map { index in
        let file = leaf_page_file_at(index)
        return PageAsset(
            path: String(cString: file.path), type: String(cString: file.content_type),
            bytes: UnsafeBufferPointer(start: file.bytes, count: file.count))
    }

    /// What a browser lets the page do: a value of `Content-Security-Policy`.
    static let policy = String(cString: leaf_page_policy())
}
