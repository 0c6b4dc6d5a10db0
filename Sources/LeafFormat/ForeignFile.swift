/// What people give for weights or a model and is neither: what it is by its first bytes, and what to do.
enum ForeignFile {
    /// Bytes that tell.
    static let beginningBytes = 512

    /// - Parameter beginning: of the file.
    /// - Returns: what follows the file's name in a sentence; nil for what may be a safetensors file.
    static func sentence(for beginning: [UInt8]) -> String? {
        // The length of the table, less than 4 GiB, and the table.
        let table = beginning.dropFirst(8).first { !isSpace($0) }
        if table == UInt8(ascii: "{"), beginning[4..<8].allSatisfy({ $0 == 0 }) { return nil }
        if !beginning.isEmpty, beginning.allSatisfy({ $0 == 0 }) {
            return "begins with zeros, as a download that was not finished does; get it again"
        }
        if beginning.dropFirst(257).starts(with: "ustar".utf8) { return packed("tar") }
        if let kind = kinds.first(where: { beginning.starts(with: $0.beginning) }) { return kind.sentence }
        let text = String(decoding: beginning.drop { isSpace($0) }.prefix(32), as: UTF8.self).lowercased()
        if let known = texts.first(where: { text.hasPrefix($0.beginning) }) { return known.sentence }
        return isText(beginning.prefix(8)) ? "begins like a text, and is neither a model, a session nor weights" : nil
    }

    /// A length of eight letters is longer than any file.
    private static func isText(_ length: ArraySlice<UInt8>) -> Bool {
        length.count == 8
            && length.allSatisfy { isSpace($0) || (0x20...0x7E).contains($0) || (0x80...0xF4).contains($0) }
    }

    private static let kinds: [(beginning: [UInt8], sentence: String)] = [
        ([0x50, 0x4B, 0x03, 0x04], "is a zip archive and no model; if it is a checkpoint of torch, convert it"),
        ([0x1F, 0x8B], packed("gzip")), ([0x42, 0x5A, 0x68], packed("bzip2")),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], packed("xz")), ([0x28, 0xB5, 0x2F, 0xFD], packed("zstd")),
        ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], packed("7-Zip")), ([0x52, 0x61, 0x72, 0x21], packed("RAR")),
        (Array("GGUF".utf8), "is a GGUF file, which is not read; give the checkpoint that it was made from"),
        ([0x89, 0x48, 0x44, 0x46], "is an HDF5 file, which is not read; save the weights as safetensors"),
        ([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59], "is a NumPy file, which is not read; save the weights as safetensors"),
        (SessionFrame.magic, "is a session and no model; give the model that the session was begun with"),
        ([0x80, 0x02], pickle), ([0x80, 0x03], pickle), ([0x80, 0x04], pickle), ([0x80, 0x05], pickle),
    ]

    /// In lower case, behind a mark of UTF-8 and space.
    private static let texts: [(beginning: String, sentence: String)] = [
        (
            "version https://git-lfs",
            "is a pointer of Git LFS and not the file itself; run `git lfs pull` in its folder"
        ),
        ("<!doctype html", page), ("<html", page), ("<head", page), ("<body", page), ("<?xml", page),
        ("{", "is a JSON text and holds no weights; give the file or the folder of the weights"),
    ]

    private static let page = "is a web page and not the file itself; download the file that the page leads to"
    private static let pickle = "is a pickle, but none of torch.save; save the state dict by torch.save"

    private static func packed(_ program: String) -> String { "is packed by \(program); unpack it first" }

    private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF].contains(byte) }
}
