function readSettings() {
  throw new Error("no settings today");
}

readSettings();
