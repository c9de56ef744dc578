"use client";

import { useEffect } from "react";

import { look } from "../look.js";

export default function Page() {
  useEffect(() => void look(), []);
  return <p>affectlens</p>;
}
