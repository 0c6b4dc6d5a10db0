import LeafSystem

/// Errors of files and batches.
extension ServedError {
    static func noFile(_ id: String, in field: String? = nil) -> ServedError { nothing("file", id, field) }
    static func noBatch(_ id: String) -> ServedError { nothing("batch", id) }

    private static func nothing(_ what: String, _ id: String, _ field: String? = nil) -> ServedError {
        ServedError(
            status: 404, "there is no \(what) \(String(id.prefix(80)).printable)", type: "invalid_request_error",
            param: field, code: "not_found")
    }

    /// There is no room for a file.
    static func full(_ reason: String) -> ServedError {
        ServedError(status: 507, reason, type: "server_error", code: "no_space")
    }

    static let tooManyBatches = ServedError(
        status: 429, "as many batches wait as may; wait for one to end, or cancel one", type: "rate_limit_error",
        code: "rate_limit_exceeded")

    static func missing(_ field: String, _ what: String) -> ServedError {
        ServedError(
            status: 400, "'\(field)' is missing, \(what)", type: "invalid_request_error", param: field)
    }

    static let badPurpose = ServedError(
        status: 400, "'purpose' is not batch, the one for which files are taken", type: "invalid_request_error",
        param: "purpose")

    static func badQuery(_ field: String, _ what: String) -> ServedError {
        ServedError(status: 400, "'\(field)' \(what)", type: "invalid_request_error", param: field)
    }

    /// - Parameter advice: how the server's owner turns them on.
    static func filesAreOff(_ advice: String) -> ServedError {
        ServedError(
            status: 404, "this server keeps no files, which batches need; \(advice)", type: "invalid_request_error",
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
                    status: 500, "the server cannot use its folder for files; ask its owner to look at the disk",
                    type: "server_error", code: "io")
            }
    }
}
