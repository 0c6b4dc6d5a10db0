import LeafSystem

/// The marks that programs set while a file is not all there.
enum UnfinishedDownload {
    /// aria2, Firefox and wget2, Chromium, Hugging Face's library, Safari, qBittorrent, older browsers and curl.
    private static let marks = [".aria2", ".part", ".crdownload", ".incomplete", ".download", ".!qB", ".partial"]

    /// The mark at the end of a name; nil if it has none.
    static func mark(of name: String) -> String? { marks.first { name.hasSuffix($0) } }

    /// - Throws: `.badInput` for a file that has a mark, or beside which one lies.
    static func refuse(_ path: String) throws(LeafError) {
        if let mark = mark(of: path) {
            throw LeafError(
                .badInput, "\(path) is a download that was not finished, as \(mark) says; finish it first")
        }
        if let mark = marks.first(where: { FilePath.exists(path + $0) }) {
            throw LeafError(
                .badInput,
                "\(path) is not whole: \(path)\(mark), the mark of a download that was not finished, lies beside it; "
                    + "finish the download, or remove the mark if it was finished otherwise")
        }
    }
}
