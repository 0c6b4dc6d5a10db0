import LeafSystem

/// Errors of files and batches.
extension ServedError {
    static func noFile(_ id: String, in field: String? = nil) -> ServedError { nothing("file", id, field) }
    static func noBatch(_ id: String) -> ServedError { nothing("batch", id) }

    private static func nothing(_ what: String, _ id: String, _ field: String? = nil) -> ServedError {
        ServedError(
            status: .notFound, "there is no \(what) \(String(id.prefix(80)).printable)",
            param: field, code: "not_found")
    }

    /// There is no room for a file.
    static func full(_ reason: String) -> ServedError {
        ServedError(status: .noStorage, reason, code: "no_space")
    }

    static let tooManyBatches = ServedError(
        status: .tooManyRequests, "as many batches wait as may; wait for one to end, or cancel one",
        code: "rate_limit_exceeded")

    static func missing(_ field: String, _ what: String) -> ServedError {
        ServedError(
            status: .badRequest, "'\(field)' is missing, \(what)", param: field)
    }

    static let badPurpose = ServedError(
        status: .badRequest, "'purpose' is not batch, the one for which files are taken",
        param: "purpose")

    static func badQuery(_ field: String, _ what: String) -> ServedError {
        ServedError(status: .badRequest, "'\(field)' \(what)", param: field)
    }

    /// - Parameter advice: how the server's owner turns them on.
    static func filesAreOff(_ advice: String) -> ServedError {
        ServedError(
            status: .notFound, "this server keeps no files, which batches need; \(advice)",
            code: "files_are_off")
    }

    /// An error of the folder of files. Nobody outside learns where that is.
    init(ofDisk error: LeafError) {
        self =
            if error.isDiskFull {
                .full("the server's disk is full; ask its owner to free some of it")
            } else if error.isFileTooLarge {
                .full("the server may not write so large a file; ask its owner to raise the limit")
            } else {
                ServedError(
                    status: .internalError,
                    "the server cannot use its folder for files; ask its owner to look at the disk", code: "io")
            }
    }
}
