def write_report(config, result, outputs, folder):
    return folder / "report.html"
